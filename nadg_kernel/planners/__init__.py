"""From a command to a draft plan: recipes offline, a language model through the same seam."""
