"""What a VLM is asked: forms and wordings of a claim, and views of its image."""
