"""Where attempts run: HTTP workers (local or remote) or an existing cluster."""
