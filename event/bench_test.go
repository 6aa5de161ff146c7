package event

import (
	"strings"
	"testing"
	"time"
)

// benchEvent is what the throughput figures are about: 256 bytes of JSON.
func benchEvent() *Event {
	return &Event{
		ID:              "0190f5fe-7a61-7c43-8a3e-0d3f2f6b7c11",
		Source:          "https://example.org/shops/berlin/tills/7",
		Type:            "org.example.shop.order.placed",
		Subject:         "orders/4711",
		Time:            time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC),
		DataContentType: "application/json",
		Data:            []byte(`{"text":"` + strings.Repeat("x", 256-11) + `"}`),
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := benchEvent()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], e)
	}
}

func BenchmarkScanHeader(b *testing.B) {
	encoded := AppendEvent(nil, benchEvent())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ScanHeader(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanNames(b *testing.B) {
	encoded := AppendEvent(nil, benchEvent())
	b.ReportAllocs()
	for b.Loop() {
		if n := ScanNames(encoded); n.Subject == nil {
			b.Fatal("no subject")
		}
	}
}

func BenchmarkCheckEncoded(b *testing.B) {
	encoded := AppendEvent(nil, benchEvent())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CheckEncoded(encoded, MaxDataBytes); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckEncodedAndFingerprint(b *testing.B) {
	encoded := AppendEvent(nil, benchEvent())
	b.ReportAllocs()
	for b.Loop() {
		h, err := CheckEncoded(encoded, MaxDataBytes)
		if err != nil {
			b.Fatal(err)
		}
		h.Fingerprint()
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	encoded := AppendEvent(nil, benchEvent())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := benchEvent()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendJSON(buf[:0])
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	text := benchEvent().AppendJSON(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := DecodeJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
