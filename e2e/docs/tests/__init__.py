"""What the documentation says: each `test_*` function gets all pages of the repository."""
