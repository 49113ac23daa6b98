"""The loop: backlash and slip estimated, the path followed, the job and its journal."""
