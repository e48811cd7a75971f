"""The worker's own version: it is deployed apart from the package."""

VERSION = "0.1.0"
