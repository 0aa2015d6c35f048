"""One module a backend: what it needs, its printer, its template."""
