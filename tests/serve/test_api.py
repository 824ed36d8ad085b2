"""What programs and the page ask of the server, and what they get."""

import threading

import httpx
import numpy as np
import pytest
from serving import TOKEN, samples_of, until, wav_bytes


def post(client, data, name="talk.wav"):
    answer = client.post("/v1/recordings", params={"name": name}, content=data)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def done(client, key):
    def ended():
        told = client.get(f"/v1/recordings/{key}").json()
        return told if told["state"] in ("done", "failed") else None

    return until(ended)


def test_audio_in_audio_out(fresh):
    data, samples = wav_bytes(1.5, channels=2)
    answer = fresh.post("/v1/audio/enhance", content=data)
    found, rate = samples_of(answer.content)
    np.testing.assert_array_equal(found, np.float32(0.5) * samples)
    assert (answer.status_code, rate, answer.headers["content-type"]) == (200, 16_000, "audio/wav")
    assert fresh.get("/v1/recordings").json()["data"] == []


def test_a_form_as_openai_s_clients_send_it(fresh):
    data, samples = wav_bytes(1.2)
    form = {"model": "half", "strength": "0.5", "format": "flac"}
    answer = fresh.post("/v1/audio/enhance", data=form, files={"file": ("a/../tälk.wav", data)})
    found, _ = samples_of(answer.content)
    np.testing.assert_allclose(found, 0.75 * samples, atol=1e-4)
    assert "t%C3%A4lk.enhanced.flac" in answer.headers["content-disposition"]


def test_listen_first_then_download_at_a_strength(fresh):
    data, samples = wav_bytes(12)
    key = post(fresh, data)
    assert done(fresh, key)["done_seconds"] == 12
    preview = fresh.get(f"/v1/recordings/{key}/preview").json()
    assert preview["names"] == ["Before", "Gentle", "Normal", "Strong"]
    assert preview["file"]["preview"] == {"start": 0.0, "seconds": 10.0, "whole": False}
    loudness = preview["file"]["loudness"]
    assert loudness[0] - loudness[2] == pytest.approx(6.02, abs=0.05)
    assert len(preview["media"]["sides"]) == len(preview["file"]["gains"]) == 4
    answer = fresh.get(f"/v1/recordings/{key}/audio", params={"strength": "gentle"})
    np.testing.assert_allclose(samples_of(answer.content)[0], 0.625 * samples, atol=1e-6)
    assert 'filename="talk.enhanced.wav"' in answer.headers["content-disposition"]


def test_first_seconds_of_a_later_recording_come_before_the_rest_of_an_earlier_one(fresh, models):
    models.gate.clear()
    long, short = wav_bytes(40)[0], wav_bytes(14)[0]
    first, second = post(fresh, long), post(fresh, short)
    models.log.clear()
    models.gate.set()
    done(fresh, first), done(fresh, second)
    order = [seconds for length, seconds in models.log if length == 14 * 16_000]
    assert order == list(range(14))
    at = models.log.index((14 * 16_000, 9))
    assert max(seconds for length, seconds in models.log[:at] if length == 40 * 16_000) < 12


def test_two_at_once(fresh):
    answers = {}

    def send(level):
        with httpx.Client(base_url=fresh.base_url, headers=fresh.headers, timeout=60) as own:
            answers[level] = own.post("/v1/audio/enhance", content=wav_bytes(2, level=level)[0])

    threads = [threading.Thread(target=send, args=(level,)) for level in (0.2, 0.4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for level, answer in answers.items():
        np.testing.assert_array_equal(samples_of(answer.content)[0], 0.5 * wav_bytes(2, level=level)[1])


def test_a_bad_recording_fails_alone_and_says_why(fresh):
    good, bad = post(fresh, wav_bytes(1)[0]), post(fresh, b"RIFF no audio at all", "notes.wav")
    assert done(fresh, good)["state"] == "done"
    told = done(fresh, bad)
    assert told["state"] == "failed" and told["error"]["type"] == "invalid_request_error"
    assert fresh.get(f"/v1/recordings/{bad}/audio").status_code == 422
    assert fresh.post("/v1/audio/enhance", content=b"no audio").status_code == 422


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/v1/audio/enhance", {"strength": "loud"}, 400, "invalid_option"),
        ("/v1/audio/enhance", {"strength": "1.5"}, 400, "invalid_option"),
        ("/v1/audio/enhance", {"format": "exe"}, 400, "invalid_option"),
        ("/v1/audio/enhance", {"loudness": "nan"}, 400, "invalid_option"),
        ("/v1/audio/enhance", {"volume": "3"}, 400, "unknown_option"),
        ("/v1/audio/enhance", {"model": "gpt"}, 404, "model_not_found"),
        ("/v1/elsewhere", {}, 404, "not_found"),
        ("/v1/models", {}, 405, "refused"),
    ],
)
def test_errors_are_those_of_openai(fresh, path, params, status, code):
    answer = fresh.post(path, params=params, content=wav_bytes(0.2)[0])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_an_empty_body_and_a_form_without_a_file_are_refused(fresh):
    assert fresh.post("/v1/recordings").json()["error"]["code"] == "no_file"
    answer = fresh.post("/v1/audio/enhance", data={"strength": "normal"}, files={"other": ("a.wav", b"x")})
    assert answer.json()["error"]["code"] == "no_file"


def test_removed_is_gone(fresh, models):
    models.gate.clear()
    key = post(fresh, wav_bytes(30)[0])
    assert fresh.delete(f"/v1/recordings/{key}").status_code == 204
    models.gate.set()
    assert fresh.get(f"/v1/recordings/{key}").json()["error"]["code"] == "no_such_recording"
    assert done(fresh, post(fresh, wav_bytes(1)[0]))["state"] == "done"


def test_the_models_are_named(fresh):
    (model,) = fresh.get("/v1/models").json()["data"]
    assert model == {"id": "half", "object": "model", "owned_by": "dacse", "state": "ready"}


def test_the_page_opens_at_its_address_and_holds_no_token(client):
    page = httpx.get(client.address)
    assert page.status_code == 200 and TOKEN not in page.text
    assert (
        "http://" not in page.text.replace("http://www.w3.org/2000/svg", "") and "https://" not in page.text
    )
