package event

import "testing"

func TestCheckDataRefusesWhatIsDeclaredJSONAndIsNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		contentType, data string
		want              Code
	}{
		{"application/json", `{"a":1}`, ""}, {"application/json", `{"a":`, CodeInvalid}, {"application/json", "", CodeInvalid},
		{"Application/JSON; charset=utf-8", "x", CodeInvalid}, {"application/problem+json", "x", CodeInvalid},
		{"text/plain", "x", ""}, {"application/jsonl", "x", ""}, {"", "x", ""}, // nothing is declared
	} {
		if got := CodeOf(CheckData(c.contentType, []byte(c.data))); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.contentType, c.data, got, c.want)
		}
	}
	if err := CheckData("application/json", nil); err != nil {
		t.Errorf("no data: %v", err)
	}
}
