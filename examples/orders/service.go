package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// service is a payment service in memory. It declines the card "declined", and does
// nothing twice for one key.
//
//	POST /charges  {"order","card","amount"}  Idempotency-Key: K    {"payment": …} or 402
//	POST /refunds  {"payment"}                Idempotency-Key: K
//	GET  /ledger                              what was taken and given back
type service struct {
	delay time.Duration // of each answer

	mu      sync.Mutex
	answers map[string]reply // by key
	entries []Entry
}

type reply struct {
	status int
	body   []byte
}

// Entry is a line of the ledger.
type Entry struct {
	Key      string `json:"key"`
	Payment  string `json:"payment"`
	Order    string `json:"order,omitempty"`
	Amount   int    `json:"amount,omitempty"`
	Refund   bool   `json:"refund,omitempty"`
	Requests int    `json:"requests"` // with this key, the first included
}

func newService(delay time.Duration) *service {
	return &service{delay: delay, answers: make(map[string]reply)}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", s.once(s.charge))
	mux.HandleFunc("POST /refunds", s.once(s.refund))
	mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.entries) // whoever asked is gone
	})
	return mux
}

// once answers the first request with a key by do, and its repeats by the same answer.
func (s *service) once(do func(key string, r *http.Request) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(idempotencyKey)
		if key == "" {
			http.Error(w, idempotencyKey+" is missing", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		answer, known := s.answers[key]
		if !known {
			answer = do(key, r)
			s.answers[key] = answer
		}
		for i := range s.entries {
			if s.entries[i].Key == key {
				s.entries[i].Requests++
			}
		}
		s.mu.Unlock()
		time.Sleep(s.delay) // money takes its time
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body) // whoever asked is gone, and will ask again
	}
}

func (s *service) charge(key string, r *http.Request) reply {
	var c Charge
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return reply{http.StatusBadRequest, []byte(err.Error())}
	}
	if c.Card == "declined" {
		return reply{http.StatusPaymentRequired, nil}
	}
	payment := fmt.Sprintf("p-%d", len(s.entries)+1)
	s.entries = append(s.entries, Entry{Key: key, Payment: payment, Order: c.Order, Amount: c.Amount})
	return reply{http.StatusOK, fmt.Appendf(nil, `{"payment":%q}`, payment)}
}

func (s *service) refund(key string, r *http.Request) reply {
	var of Entry
	if err := json.NewDecoder(r.Body).Decode(&of); err != nil {
		return reply{http.StatusBadRequest, []byte(err.Error())}
	}
	s.entries = append(s.entries, Entry{Key: key, Payment: of.Payment, Refund: true})
	return reply{http.StatusOK, nil}
}
