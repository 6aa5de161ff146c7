package event

import (
	"strings"
	"testing"
)

func TestOnlyStateMachinesAppendWhatIsReserved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stream, typ, want string }{
		{"orders", "order.placed", ""},
		{"kv", "edri", ""},
		{"kvx/1", "edrix.kv.put", ""},
		{"a/kv/b", "my.edri.thing", ""},
		{"orders", "edri.kv.put", `type "edri.kv.put": `},
		{"orders", "edri.", `type "edri.": `},
		{"kv/default", "order.placed", `stream "kv/default": `},
		{"run/7", "order.placed", `stream "run/7": `},
		{"kv/", "order.placed", `stream "kv/": `},
	} {
		err := CheckUnreserved(c.stream, []byte(c.typ))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s to %s: %v", c.typ, c.stream, err)
		case c.want != "" && (CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s to %s: %v, want invalid with %s", c.typ, c.stream, err, c.want)
		}
	}
}
