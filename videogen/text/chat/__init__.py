"""Asking a language model behind HTTP: for captions of clips, and for better prompts."""
