"""End-to-end tests of a fleet: Culvert installed on a real cluster, customers and an Internet that talk through it."""
