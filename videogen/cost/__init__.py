"""What a program would cost on a TPU that is not there, from the compiler's own schedules."""
