"""Graph to text: one printer a language, over one notion of precedence."""
