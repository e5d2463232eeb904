"""What people and machines read: tables, JSON Lines, CSV, Parquet."""
