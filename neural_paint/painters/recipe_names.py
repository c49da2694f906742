"""Names of the ways to train a painter, for the command line, which reads them without what trains."""

RECIPES = ("vae", "gan", "npx", "dab")
