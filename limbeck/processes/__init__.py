"""Several processes that train together: who they are, when one is lost, and how the others follow the first."""
