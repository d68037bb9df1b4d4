//! Attacks on sign-in and sessions over the network: a provider and clients that lie. The rows are those of
//! `tests/files/attacks.tsv`; tests of the core cover most of them without a network.

mod addresses;
mod answers;
mod attacked;
mod cookies;
mod disclosure;
mod handshakes;
mod tokens;

use jetway_tests::on_both_proxies;

use crate::addresses::{
    f_06_a_callback_in_twenty_connections_counts_once, r_09_no_address_leads_elsewhere,
};
use crate::answers::{
    f_15_errors_of_the_provider_are_shown_as_text,
    j_14_j_18_f_19_f_22_nothing_but_the_provider_is_called,
    j_34_endless_answers_of_the_provider_end, j_50_bad_key_sets_leave_the_last_good_one,
    n_21_answers_that_break_off_or_never_end_are_no_answers,
};
use crate::cookies::{
    c_19_c_20_odd_cookies_break_nothing, c_26_the_application_sees_its_own_cookies,
};
use crate::disclosure::{i_01_logs_hold_no_secrets, i_08_no_server_and_no_via};
use crate::handshakes::{
    w_02_w_05_w_07_handshakes_that_open_nothing, w_05_incomplete_handshakes_are_refused,
};
use crate::tokens::{
    j_01_and_others_forged_tokens_open_no_session, n_21_tokens_of_another_type_open_no_session,
    users_of_github_sign_in_by_their_verified_primary_address, users_of_this_provider_sign_in,
};

on_both_proxies!(
    users_of_this_provider_sign_in,
    users_of_github_sign_in_by_their_verified_primary_address,
    j_01_and_others_forged_tokens_open_no_session,
    j_14_j_18_f_19_f_22_nothing_but_the_provider_is_called,
    j_50_bad_key_sets_leave_the_last_good_one,
    j_34_endless_answers_of_the_provider_end,
    n_21_answers_that_break_off_or_never_end_are_no_answers,
    n_21_tokens_of_another_type_open_no_session,
    f_06_a_callback_in_twenty_connections_counts_once,
    f_15_errors_of_the_provider_are_shown_as_text,
    r_09_no_address_leads_elsewhere,
    c_19_c_20_odd_cookies_break_nothing,
    c_26_the_application_sees_its_own_cookies,
    i_01_logs_hold_no_secrets,
    i_08_no_server_and_no_via,
    w_02_w_05_w_07_handshakes_that_open_nothing,
    w_05_incomplete_handshakes_are_refused,
);
