'use strict';
// All tests of pusher-js, laravel-echo, sign-in and encryption again, without a WebSocket: over xhr_polling.

process.env.PUSHERC_TEST_TRANSPORT = 'xhr_polling'; // clients.js reads it
for (const name of ['pusher-js', 'laravel-echo', 'users', 'encryption']) require(`./${name}.test.js`);
