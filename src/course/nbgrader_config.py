# A course folder for nbgrader, made by `itd course instructor`: one assignment a notebook, in source/.
#
#   nbgrader generate_assignment 02_i_mmse     the students' edition, to release/
#   nbgrader autograde 02_i_mmse               grades what lies in submitted/STUDENT/02_i_mmse/
#   nbgrader formgrader                        answers in words are graded by hand, in the browser
#
# https://nbgrader.readthedocs.io says more.
from nbgrader.converters import GenerateAssignment

c = get_config()  # noqa: F821, nbgrader defines it

c.CourseDirectory.course_id = "itd"

# What stands in the place of a solution: code that compiles, and says that something is missing.
c.ClearSolutions.code_stub = {"rust": "// YOUR CODE HERE\ntodo!()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# The notes of the first cell are not for students.
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"notes"}
c.GenerateAssignment.preprocessors = [
    "nbconvert.preprocessors.TagRemovePreprocessor"
] + GenerateAssignment.preprocessors.default()

# Seconds that a cell may take; some train a network.
c.Execute.timeout = 900
