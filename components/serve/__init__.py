"""The serve stage: verdicts of the champion on new samples."""
