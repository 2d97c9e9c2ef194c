"""The reader of OTLP/JSON lines is strict, and agrees with the protobuf reader."""
import otlp_decode

from harness import cases, equal

GOOD = (b'{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":'
        b'{"stringValue":"svc"}}]},"scopeLogs":[{"scope":{"name":"fluent"},"logRecords":[{'
        b'"timeUnixNano":"1700000000123456789","observedTimeUnixNano":"1700000001000000000",'
        b'"severityNumber":17,"severityText":"ERROR","body":{"stringValue":"boom"},"attributes":['
        b'{"key":"n","value":{"intValue":"-1"}},{"key":"d","value":{"doubleValue":1}},'
        b'{"key":"z","value":{}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":false}]'
        b'}}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"/wA='
        b'"}}]}}}],"flags":1,"traceId":"5b8efff798038103d269b633813fc60c",'
        b'"spanId":"eee19b7ec3c1b174"}]}]}]}\n')


def test_good(ctx):
    (record,) = otlp_decode.decode_lines(GOOD)
    equal(record, {
        "time": 1700000000123456789, "observed": 1700000001000000000, "severity": 17,
        "text": "ERROR", "body": "boom", "attributes": {
            "n": -1, "d": 1.0, "z": None, "l": [False], "m": {"b": b"\xff\0"}},
        "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174", "flags": 1,
        "dropped": 0, "event_name": "", "resource": {"service.name": "svc"},
        "scope": {"name": "fluent", "version": "", "attributes": {}}}, "the record")


def test_protobuf_example(ctx):
    """The worked example of the protocol reference, encoded by hand."""
    body = bytes.fromhex(
        "0a7d0a170a150a0c736572766963652e6e616d6512050a0373766312620a080a06666c75656e74125609"
        "15cd853dfe9c971710111a054552524f522a060a04626f6f6d32100a016e120b18ffffffffffffffffff01"
        "45010000004a105b8efff798038103d269b633813fc60c5208eee19b7ec3c1b1745900cac471fe9c9717")
    (record,), minimal = otlp_decode.decode_request(ctx.schema, body)
    (other,) = otlp_decode.decode_lines(GOOD)
    other["attributes"] = {"n": -1}
    equal(record, other, "protobuf and JSON")
    assert minimal


BAD = {
    "torn": (GOOD[:-1], b"", b""),
    "torn_inside": (GOOD, b'"flags":1', b'\n"flags":1'),
    "number_time": (GOOD, b'"1700000000123456789"', b"1700000000123456789"),
    "number_int": (GOOD, b'"-1"', b"-1"),
    "int_range": (GOOD, b'"-1"', b'"9223372036854775808"'),
    "enum_name": (GOOD, b'"severityNumber":17', b'"severityNumber":"SEVERITY_NUMBER_ERROR"'),
    "snake_case": (GOOD, b"severityText", b"severity_text"),
    "unknown_key": (GOOD, b'"flags":1', b'"flag":1'),
    "key_twice": (GOOD, b'"flags":1', b'"flags":1,"flags":1'),
    "attribute_twice": (GOOD, b'"key":"d"', b'"key":"n"'),
    "short_trace": (GOOD, b"5b8efff798038103d269b633813fc60c", b"5b8efff79803"),
    "base64_trace": (GOOD, b"5b8efff798038103d269b633813fc60c", b"W47/95gDgQPSabYzgT/GDA=="),
    "two_values": (GOOD, b'{"intValue":"-1"}', b'{"intValue":"-1","boolValue":true}'),
    "bad_base64": (GOOD, b"/wA=", b"/wA"),
    "bare_nan": (GOOD, b'"doubleValue":1', b'"doubleValue":NaN'),
    "invalid_utf8": (GOOD, b"boom", b"b\xffom"),
    "empty": (b'{"resourceLogs":[]}\n', b"", b""),
}


@cases(*BAD)
def test_refuses(ctx, case):
    text, old, new = BAD[case]
    assert old in text
    try:
        otlp_decode.decode_lines(text.replace(old, new) if old else text)
    except otlp_decode.Refused:
        return
    raise AssertionError("accepted")
