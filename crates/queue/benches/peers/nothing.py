"""The job of RQ and Celery: nothing."""


def nothing():
    return None
