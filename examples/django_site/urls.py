"""Views enqueue, and tell how it stands."""

import json

from django.db import transaction
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from tasks import count, send_receipt

try:
    from django.tasks.exceptions import TaskResultDoesNotExist
except ModuleNotFoundError:  # before Django 6
    from django_tasks.exceptions import TaskResultDoesNotExist


@csrf_exempt
def take(request: HttpRequest) -> JsonResponse:
    order = json.loads(request.body)
    with transaction.atomic():
        # … the order is stored; the task leaves when that is committed, and never if it is not
        result = send_receipt.enqueue(order["number"], email=order["email"])
        if order["number"] < 0:
            transaction.set_rollback(True)
    return JsonResponse({"task": result.id}, status=202)


async def count_it(request: HttpRequest, number: int) -> JsonResponse:
    result = await count.aenqueue(number)
    return JsonResponse({"task": result.id}, status=202)


def receipt(request: HttpRequest, task_id: str) -> JsonResponse:
    try:
        result = send_receipt.get_backend().get_result(task_id)
    except TaskResultDoesNotExist:
        raise Http404 from None
    value = result.return_value if result.status == "SUCCESSFUL" else None
    return JsonResponse({"status": result.status, "result": value})


urlpatterns = [
    path("orders", take),
    path("count/<int:number>", count_it),
    path("receipts/<str:task_id>", receipt),
]
