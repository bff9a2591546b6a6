"""Where the face of the portrait (`video_cases.face_photo`) is, marked by hand, in pixels."""

RIGHT_EYE_AT, LEFT_EYE_AT, MOUTH_AT = (203, 101), (246, 102), (224, 146)
FACE_AT = (174, 75, 100, 100)  # from brows to chin
