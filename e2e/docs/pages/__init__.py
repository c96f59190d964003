"""Reads the documentation: pages, their headings, links and code blocks."""
