"""A real Kubernetes of two nodes, with routers and customers around it, in namespaces of one machine."""
