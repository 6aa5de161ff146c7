package workflows

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// The records that there are most of are written by hand, for a third of what
// encoding/json takes. encode_test.go holds them to it.

func appendSeq(b []byte, seq uint64) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	return append(b, '}')
}

func appendTimer(b []byte, seq uint64, d time.Duration) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"for":"`...)
	b = append(b, d.String()...)
	return append(b, `"}`...)
}

// appendStep appends a StepRecord whose Result and Heartbeat are compact JSON.
func appendStep(b []byte, r *StepRecord) []byte {
	if b == nil {
		b = make([]byte, 0, 112+len(r.Name)+len(r.Result)+len(r.Heartbeat))
	}
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"name":`...)
	b = appendText(b, r.Name)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(r.Attempt), 10)
	b = append(b, `,"started":"`...)
	b = r.Started.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	if len(r.Result) > 0 {
		b = append(b, `,"result":`...)
		b = append(b, r.Result...)
	}
	if r.Error != nil {
		b = append(b, `,"error":`...)
		b = append(b, mustMarshal(r.Error)...)
	}
	if r.RetryIn != "" {
		b = append(b, `,"retry_in":`...)
		b = appendText(b, r.RetryIn)
	}
	if r.Blocks {
		b = append(b, `,"blocks":true`...)
	}
	if len(r.Heartbeat) > 0 {
		b = append(b, `,"heartbeat":`...)
		b = append(b, r.Heartbeat...)
	}
	return append(b, '}')
}

// appendText appends a string as encoding/json does.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x7f {
			data, _ := json.Marshal(s)
			return append(b, data...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
