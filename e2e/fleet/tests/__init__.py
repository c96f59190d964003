"""The fleet's tests: each `test_*` function gets a namespace of its own."""
