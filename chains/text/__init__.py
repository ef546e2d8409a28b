"""What a text is made of, by rules that need no model: words and sentences."""
