"""What a class needs: sheets handed in judged against a key, marks, templates and exercises."""

from tinygrad_edu.classroom.grading import grade

__all__ = ["grade"]
