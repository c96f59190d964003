"""How a router follows a large fleet."""
