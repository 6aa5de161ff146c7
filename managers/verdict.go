package managers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxReasonBytes is how much of a reason is kept.
const maxReasonBytes = 8 << 10

// ErrSkip is returned by a handler whose event is done without effects.
var ErrSkip = errors.New("done without effect")

// Reject returns an error with which a handler gives its event up: it goes to the dead
// letters now, with err as the reason.
func Reject(err error) error { return &verdict{verb: Park, err: orUnknown(err)} }

// RetryAfter returns an error after which the event comes again when wait has passed,
// whatever the subscription's backoff says; at most max_deliver times, as always.
func RetryAfter(err error, wait time.Duration) error {
	return &verdict{verb: Nak, delay: wait, err: orUnknown(err)}
}

// verdict is an error that says how the delivery ends.
type verdict struct {
	verb  Verb
	delay time.Duration
	err   error
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// orUnknown is err, or an error where a handler has none to tell: that it rejects must
// not get lost.
func orUnknown(err error) error {
	if err == nil {
		return errors.New("the handler gave no reason")
	}
	return err
}

// settlementOf says how a delivery ends whose handler returned an error.
func settlementOf(ctx context.Context, err error) Settlement {
	if errors.Is(err, ErrSkip) {
		return Settlement{Verb: Skip}
	}
	s := Settlement{Verb: Nak}
	if v := (*verdict)(nil); errors.As(err, &v) {
		s.Verb, s.Delay = v.verb, max(0, v.delay)
	}
	reason := err.Error()
	// "context canceled" does not say whether it was the time or the lease.
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) && !strings.Contains(reason, cause.Error()) {
		reason = fmt.Sprintf("%s: %v", reason, cause)
	}
	s.Reason = cut(reason, maxReasonBytes)
	return s
}

// cut returns valid UTF-8 of at most n bytes.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
