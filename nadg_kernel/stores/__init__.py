"""Journal and registry of runs and workers: SQLite embedded, Supabase as a replica."""
