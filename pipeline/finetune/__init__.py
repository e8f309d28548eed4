"""``pairforge finetune``: trains a language model to write caption pairs."""
