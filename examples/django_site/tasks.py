"""Tasks as Django has them; nothing here knows of the backend."""

try:
    from django.tasks import task
except ModuleNotFoundError:  # before Django 6
    from django_tasks import task


@task(queue_name="emails")
def send_receipt(order: int, email: str) -> str:
    return f"receipt {order} sent to {email}"


@task
async def count(order: int) -> int:
    return order + 1
