"""The formula language: text to graph and back. Nothing here evaluates text."""
