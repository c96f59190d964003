"""The lab's tests. Each function gets a fresh lab; its name is the test's name, its docstring what it shows."""
