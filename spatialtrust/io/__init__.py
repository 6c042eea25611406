"""What people hand in: files of claims, recorded boxes, images; and tables as Parquet."""
