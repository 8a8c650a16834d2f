"""Raw material: sources of captioned images and problems, the teacher, the engines, and what solvers answered."""
