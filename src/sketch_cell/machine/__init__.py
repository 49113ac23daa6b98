"""Screen and knobs, Grbl as text, the serial link and the streaming stepper."""
