"""Raw material: sources of captioned images and problems, the teacher, the engines that answer, and what they answered."""
