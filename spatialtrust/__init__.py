"""When can a vision-language model's spatial claim be trusted?"""

__version__ = "0.1.0"
