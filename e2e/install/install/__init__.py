"""An API server without nodes, images and charts: what the tests of an installation need."""
