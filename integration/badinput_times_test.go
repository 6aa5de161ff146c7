package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
)

// What schedules and keys cannot be is refused where it enters, by an error with a code
// that names the field and the reason.
func TestBadSchedulesAndKeysAreRefusedWithATypedError(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	n := c.Nodes()[0]
	const tick = `"action":{"append":{"event":{"specVersion":"1.0","type":"t"}}}`
	schedule := func(members, action string) string {
		return `{"name":"s","spec":{` + members + `,` + action + `}}`
	}
	put := func(members string) string { return `{"bucket":"default",` + members + `}` }
	keys := func(then ...string) string { return `{"then":[` + strings.Join(then, ",") + `]}` }
	large := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	many := make([]string, 10_000)
	for i := range many {
		many[i] = `{"put":{"bucket":"b","key":"k"}}`
	}
	const every = `"every":"60000000000"`
	for name, tc := range map[string]struct {
		procedure, body string
		code            event.Code
		says            string
	}{
		"TZ=UTC alone":            {"Schedules/Create", schedule(`"cron":"TZ=UTC"`, tick), event.CodeInvalid, `cron "TZ=UTC": a zone does not belong into the expression`},
		"a zone in it":            {"Schedules/Create", schedule(`"cron":"CRON_TZ=Asia/Tokyo 0 0 * * *"`, tick), event.CodeInvalid, `use the field zone`},
		"dates that do not exist": {"Schedules/Create", schedule(`"cron":"0 0 31 2 *"`, tick), event.CodeInvalid, `cron "0 0 31 2 *": its dates do not exist`},
		"@every":                  {"Schedules/Create", schedule(`"cron":"@every -5s"`, tick), event.CodeInvalid, `cron "@every -5s": use the field every`},
		"a negative every":        {"Schedules/Create", schedule(`"every":"-5000000000"`, tick), event.CodeInvalid, "every: -5s is less than 1s"},
		"an unknown zone":         {"Schedules/Create", schedule(`"cron":"@daily","zone":"Mars/Olympus"`, tick), event.CodeInvalid, `zone "Mars/Olympus": is unknown`},
		"the node's zone":         {"Schedules/Create", schedule(`"cron":"@daily","zone":"Local"`, tick), event.CodeInvalid, `zone "Local": is unknown`},
		"a zone that is a path":   {"Schedules/Create", schedule(`"cron":"@daily","zone":"../../etc/passwd"`, tick), event.CodeInvalid, `is unknown`},
		"update to what is bad":   {"Schedules/Update", schedule(`"cron":"0 0 31 2 *"`, tick), event.CodeInvalid, "its dates do not exist"},
		"preview of what is bad":  {"Schedules/Preview", `{"spec":{"cron":"TZ=UTC",` + tick + `}}`, event.CodeInvalid, "a zone does not belong"},
		"an oversized event": {"Schedules/Create", schedule(every, `"action":{"append":{"event":{"specVersion":"1.0","type":"t","binaryData":"`+large(70<<10)+`"}}}`),
			event.CodeTooLarge, "action: its event in bytes"},
		"a negative ttl in a schedule": {"Schedules/Create", schedule(every, `"action":{"keys":`+keys(`{"put":{"bucket":"b","key":"k","ttl":"-1"}}`)+`}`),
			event.CodeInvalid, "action: keys: then[0].put.ttl: -1ns"},
		"a control character in a schedule": {"Schedules/Create", schedule(every, `"action":{"keys":`+keys(`{"put":{"bucket":"b","key":"a\u0007b"}}`)+`}`),
			event.CodeInvalid, "action: keys: then[0].put.key"},
		"an oversized value in a schedule": {"Schedules/Create", schedule(every, `"action":{"keys":`+keys(`{"put":{"bucket":"b","key":"k","value":"`+large(70<<10)+`"}}`)+`}`),
			event.CodeTooLarge, "action: its transaction in bytes"},
		"10,000 operations in a schedule": {"Schedules/Create", schedule(every, `"action":{"keys":`+keys(many...)+`}`), event.CodeTooLarge, "action: its transaction in bytes"},
		"513 operations in a schedule":    {"Schedules/Create", schedule(every, `"action":{"keys":`+keys(many[:513]...)+`}`), event.CodeTooLarge, "action: keys: compare, then and otherwise: 513 is more than 512"},
		"a delayed event for no time":     {"Schedules/AppendLater", `{"at":"-1","event":{"id":"1","source":"/s","specVersion":"1.0","type":"t"}}`, event.CodeInvalid, "at: is not within 1970 and 2199"},

		"a negative ttl":                        {"Keys/Put", put(`"key":"k","ttl":"-5"`), event.CodeInvalid, "ttl: -5ns is neither 0 nor within"},
		"a negative ttl of a bucket":            {"Keys/CreateBucket", `{"name":"b","config":{"ttl":"-5"}}`, event.CodeInvalid, "config.ttl: -5ns"},
		"an oversized value":                    {"Keys/Put", put(`"key":"k","value":"` + large(1<<20+1) + `"`), event.CodeTooLarge, "value in bytes: 1048577 is more than 1048576"},
		"an oversized value of a bucket":        {"Keys/CreateBucket", fmt.Sprintf(`{"name":"b","config":{"maxValueBytes":%d}}`, 1<<20+1), event.CodeTooLarge, "config.max_value_bytes"},
		"a key with a control character":        {"Keys/Put", put(`"key":"a\u0007b"`), event.CodeInvalid, `key "a\\ab"`},
		"no key":                                {"Keys/Put", put(`"key":""`), event.CodeInvalid, "key: is missing"},
		"a long key":                            {"Keys/Put", put(`"key":"` + strings.Repeat("k", 1025) + `"`), event.CodeTooLarge, "key"},
		"a bucket with a control character":     {"Keys/CreateBucket", `{"name":"a\u0000b"}`, event.CodeInvalid, "name"},
		"a transaction of 10,000 operations":    {"Keys/Transact", keys(many...), event.CodeTooLarge, "operations of a commit, those within its operations included: 10000 is more than 1000"},
		"a transaction with a control char":     {"Keys/Transact", keys(`{"delete":{"bucket":"b","key":"\n"}}`), event.CodeInvalid, "then[0].delete.key"},
		"a transaction with a negative ttl":     {"Keys/Transact", keys(`{"put":{"bucket":"b","key":"k","ttl":"-5"}}`), event.CodeInvalid, "then[0].put.ttl: -5ns"},
		"a transaction with an oversized value": {"Keys/Transact", keys(`{"put":{"bucket":"b","key":"k","value":"` + large(1<<20+1) + `"}}`), event.CodeTooLarge, "then[0].put.value in bytes"},
	} {
		status, body := post(t, n, tc.procedure, tc.body)
		if status < 400 || status >= 500 || !strings.Contains(body, string(tc.code)) || !strings.Contains(body, strings.ReplaceAll(tc.says, `"`, `\"`)) {
			t.Errorf("%s: status %d, want %s and %q in: %.400s", name, status, tc.code, tc.says, body)
		}
	}
	// A day that a zone has passed over once is one like any other.
	status, body := post(t, n, "Schedules/Preview", `{"after":"1322697600000000000","count":2,"spec":{"cron":"0 0 30 12 *","zone":"Pacific/Apia",`+tick+`}}`)
	if want := `{"times":["1325239200000000000","1356775200000000000"]}`; status != http.StatusOK || strings.ReplaceAll(body, " ", "") != want {
		t.Errorf("30 December in Apia: status %d, %s, want %s", status, body, want)
	}
	unharmed(t, n, 0)
}
