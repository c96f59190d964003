"""The network lab: real customers, a real core and a real Internet around one culvert-relay, in network namespaces."""
