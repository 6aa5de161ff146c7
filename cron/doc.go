// Package cron runs schedules.
package cron
