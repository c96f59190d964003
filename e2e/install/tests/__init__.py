"""What people install: each `test_*` function gets the API server that all share."""
