"""Sends calls through Sluicegate, in this process: an answer, a stream, and many at once.

pip install sluicegate, then: python examples/python/complete.py
"""

import asyncio

import sluicegate

CONFIG = {
    "version": 1,
    "channels": [{"name": "demo", "provider": "mock", "models": ["mock"]}],
    "keys": [{"id": "notebook", "credential": "sk-notebook-3f8a1c6d9b2e7450", "limits": {"requests": {"day": 5}}}],
}
KEY = "sk-notebook-3f8a1c6d9b2e7450"


async def several(gateway: sluicegate.Gateway, question: str) -> None:
    ask = {"model": "mock", "messages": [{"role": "user", "content": question}]}
    answers = await asyncio.gather(*(gateway.acomplete(ask, key=KEY) for _ in range(3)), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, sluicegate.InsufficientQuotaError):
            print("refused:", answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            print("answered by", answer.facts["channel"])


def main() -> None:
    messages = [{"role": "user", "content": "What does a sluice gate do?"}]
    with sluicegate.Gateway(CONFIG) as gateway:
        answer = gateway.complete(model="mock", messages=messages, key=KEY)
        print(answer["choices"][0]["message"]["content"])
        with gateway.stream(model="mock", messages=messages, key=KEY) as stream:
            for event in stream:
                for choice in event["choices"]:
                    print(choice["delta"].get("content") or "", end="", flush=True)
        print()
        asyncio.run(several(gateway, "And who opens it?"))
        for limit in gateway.remaining(KEY):
            print(f"{limit['settled']} of {limit['max']} {limit['metric']} used in the {limit['window']}")


if __name__ == "__main__":
    main()
