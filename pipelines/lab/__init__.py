"""The prompt lab: variants of one stage beside each other on the same rows, and what that shows."""
