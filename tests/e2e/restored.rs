//! A controller that is put back from a copy, as the operator's guide says.

use postern_tests::wait_for;
use serde_json::json;

use crate::JOE;
use crate::renewal::{copy, lab, renewals, renewed};

/// Nobody goes to its host. Leave `keep_newer` out of `admit_session`, and it has to be enrolled again there.
#[tokio::test]
async fn a_member_that_renewed_its_certificate_after_the_copy_works_again_once_that_is_accepted() {
    let mut lab = lab(&["--certificate-secs", "40"]).await;
    let agent = lab.member("agent").await;
    let data = lab.controller.data().to_owned();
    let (copied, before) = (data.with_extension("copy"), data.with_extension("before"));
    assert_eq!(lab.controller.terminate().await, Some(0));
    let copied_after = renewals(&lab);
    copy(&data, &copied);
    lab.controller.restart().await;
    renewed(&lab, copied_after).await;
    // The agent knows it too.
    wait_for("the agent to be in a session under the next certificate", async || {
        let (agent, member) = (agent.status().await, lab.controller.member(agent.member()).await);
        let (mine, known) = (agent["agent"]["certificate"]["serial"].clone(), member["certificate_serial"].clone());
        if mine == known { Ok(()) } else { Err((mine, known)) }
    })
    .await;
    let fingerprint = agent.status().await["agent"]["certificate"]["fingerprint"].as_str().unwrap().to_owned();

    assert_eq!(lab.controller.terminate().await, Some(0));
    std::fs::rename(&data, &before).unwrap();
    copy(&copied, &data);
    lab.controller.restart().await;
    let error = agent.link_fails("member accept").await;
    assert!(error.contains("wrong_certificate") && error.contains(&fingerprint), "{error}");
    let task = lab.controller.submit("disable_user", JOE).await;
    let member = lab.controller.member(agent.member()).await;
    assert_eq!(member["newer_certificates"][0]["fingerprint"], json!(fingerprint), "{member}");
    let looks = agent.run(&["doctor", "--json"]).await.out;
    assert!(looks.contains("an operator does that (`postern-controller member accept`"), "{looks}");
    assert_eq!(lab.controller.task(task).await["state"], json!("queued"));

    lab.controller.cli(&["member", "accept", agent.member(), "--fingerprint", &fingerprint]).await;
    agent.link("connected").await;
    let task = lab.controller.finished(task).await;
    assert_eq!((&task["outcome"], &task["member"]), (&json!("succeeded"), &json!(agent.member())), "{task}");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1);
    renewed(&lab, renewals(&lab)).await;
    let member = lab.controller.member(agent.member()).await;
    assert_eq!((&member["newer_certificates"], &member["alarm"]), (&json!([]), &json!(null)), "{member}");
}
