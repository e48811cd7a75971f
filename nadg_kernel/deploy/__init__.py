"""Deploying workers as Hugging Face Spaces: what is sent, the wait for the build, registration, private ones."""
